//! The name that a client shows its server (TLS server name, HTTP Host): one that led it to the address, and whose
//! principal is the one that the connection goes to.

use firewall_common::abi::{Kind, PrincipalId};
use firewall_common::reason::Reason;

use crate::scratch::Scratch;
use crate::who::names::{self, Shown};
use crate::{edge, essential, flow};

/// Values of [`Scratch::shown`]: nothing is known of the name; the edge is this name's own; others have led to the
/// address, this one has not.
const NOTHING: u8 = 0;
const OWN: u8 = 1;
const FOREIGN: u8 = 2;

/// Compares the name with what its client has resolved. Of several names of one address, the one that is shown decides to
/// whom the connection goes.
#[inline(never)]
pub fn judge(scratch: &mut Scratch, name: u64) -> Result<(), Reason> {
    scratch.shown = NOTHING;
    let (device, server) = (scratch.flow.edge.src, scratch.flow.edge.dst);
    if name == 0 || !edge::is_outside(server) {
        return Ok(());
    }
    let via = match names::shown(device, &scratch.frame.dst, name) {
        // Hard-coded, or resolved elsewhere: an edge by address, with the names that it has learned.
        Shown::Unbound => return Ok(()),
        Shown::Foreign => {
            scratch.shown = FOREIGN;
            return Ok(());
        }
        Shown::Latest(known) => known.via,
        Shown::Other => essential::via(device, name),
    };
    let principal = names::principal(via);
    if principal == PrincipalId::UNKNOWN {
        return Ok(());
    }
    if principal != server {
        flow::turn(scratch, principal)?;
    }
    scratch.shown = OWN;
    Ok(())
}

/// As [`judge`], for the host of the request whose levels are at hand. An address is no name.
#[inline(always)]
pub fn host(scratch: &mut Scratch) -> Result<(), Reason> {
    let last = scratch.said.object.last();
    let name = if last.is_ascii_digit() || last == b']' { 0 } else { scratch.levels.get(HOST) };
    judge(scratch, name)
}

/// Place of the host in the levels of a request.
const HOST: usize = 1;

/// Whether an object is the name that its edge stands for, so no rule of its own is needed.
#[inline(always)]
pub fn is_own(scratch: &Scratch, kind: Kind) -> bool {
    kind == Kind::TlsName && scratch.shown == OWN
}

/// Why an object is not in the model.
#[inline(always)]
pub fn reason(scratch: &Scratch, kind: Kind, otherwise: Reason) -> Reason {
    let shows = matches!(kind, Kind::TlsName | Kind::HttpGet | Kind::HttpSet | Kind::HttpDelete);
    if shows && scratch.shown == FOREIGN { Reason::NameMismatch } else { otherwise }
}
