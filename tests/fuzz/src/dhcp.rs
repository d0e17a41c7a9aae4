//! DHCP, against a list of all options.

use firewall_common::abi::Addr;
use firewall_common::wire::dhcp::{self, Op};

use crate::input::at;

/// Offset of the options.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// A message, and the options of an acknowledgement.
pub(crate) fn check(bytes: &[u8]) {
    check_message(bytes);
    let mut message = vec![0; OPTIONS];
    message[..3].copy_from_slice(&[Op::Reply as u8, 1, 6]);
    message[16..20].copy_from_slice(&[10, 0, 0, 9]);
    message[OPTIONS - 4..].copy_from_slice(&COOKIE);
    message.extend(bytes);
    check_message(&message);
}

fn check_message(bytes: &[u8]) {
    for op in [Op::Request, Op::Reply] {
        let head = [op as u8, 1, 6];
        let expected = bytes.len() > 3 && bytes[..3] == head && at(bytes, OPTIONS - 4) == Some(COOKIE);
        assert_eq!(dhcp::is(&bytes, 0, op), expected, "{op:?}");
    }
    let options = options(bytes);
    let find = |code| options.iter().find(|option| option.0 == code);

    let acknowledged = find(53).is_some_and(|option| at(bytes, option.1) == Some([5_u8]) && option.2 == 1);
    let address = at(bytes, 16).filter(|address| acknowledged && *address != [0; 4]);
    assert_eq!(leased(bytes), address, "the leased address");

    let name = dhcp::host_name(&bytes, 0);
    let expected = find(12).map(|option| (option.1 as u32, option.2 as u8));
    assert_eq!(name, expected, "the host name");
}

fn leased(bytes: &[u8]) -> Option<[u8; 4]> {
    let leased = dhcp::leased(&bytes, 0).and_then(Addr::v4);
    // Looks at the value of the first option and not at its length.
    if cfg!(feature = "planted")
        && leased.is_none()
        && let Some([53, length, 5]) = at::<3>(bytes, OPTIONS)
        && length > 1
    {
        return at(bytes, 16);
    }
    leased
}

/// Code, offset and length of the first forty options, padding included.
fn options(bytes: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut options = Vec::new();
    let mut offset = OPTIONS;
    for _ in 0..40 {
        match (at::<1>(bytes, offset), at::<1>(bytes, offset + 1)) {
            (Some([0]), _) => offset += 1,
            (Some([255]) | None, _) | (_, None) => break,
            (Some([code]), Some([length])) => {
                options.push((code, offset + 2, usize::from(length)));
                offset += 2 + usize::from(length);
            }
        }
    }
    options
}
