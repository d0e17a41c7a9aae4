//! Who sends, and who is meant: principals by MAC and port, addresses by their binding.

use aya_ebpf::bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, lpm_trie::Key};
use firewall_common::abi::{
    self, Addr, AddrKey, Addresses, Binding, LinkKey, MacHome, MacKey, NetworkKey, PrincipalId, Ring,
    Stranger, capacity,
};
use firewall_common::reason::Reason;

use crate::bytes::is_present;
use crate::observe::{self, addr_key, notice};
use crate::scratch::Scratch;
use crate::{atomic, config, edge, pass};

pub mod names;

use names::Known;

/// Written by the daemon.
#[map]
static PRINCIPAL_BY_MAC: HashMap<MacKey, MacHome> = HashMap::with_max_entries(capacity::PRINCIPAL_BY_MAC, 0);

/// Written by the kernel; the daemon removes what it has registered.
#[map]
static STRANGERS: HashMap<LinkKey, Stranger> = HashMap::with_max_entries(capacity::STRANGERS, 0);

/// Written by the kernel.
#[map]
static BINDINGS: HashMap<AddrKey, Binding> = HashMap::with_max_entries(capacity::BINDINGS, 0);

/// Written by the kernel.
#[map]
static ADDRESSES: Array<Addresses> = Array::with_max_entries(capacity::ADDRESSES, 0);

/// Written by the daemon.
#[map]
static HOSTS: HashMap<AddrKey, PrincipalId> = HashMap::with_max_entries(capacity::HOSTS, 0);

/// Written by the daemon.
#[map]
static NETWORKS: LpmTrie<NetworkKey, u32> = LpmTrie::with_max_entries(capacity::NETWORKS, BPF_F_NO_PREALLOC);

/// A claimed address that was not used for so long may be claimed by another MAC.
const CLAIM_HOLDS_NS: u64 = 24 * 3600 * 1_000_000_000;
/// The time of the last use is written at most this often.
const SEEN_EVERY_NS: u64 = 1_000_000_000;

/// The principal that sent the frame at hand from a device port, or [`PrincipalId::UNKNOWN`] for a stranger, who is
/// noted.
#[inline(never)]
pub fn sender(scratch: &mut Scratch) -> Result<PrincipalId, Reason> {
    let principal = registered(scratch)?;
    if principal == PrincipalId::UNKNOWN {
        stranger(scratch);
    }
    Ok(principal)
}

/// As [`sender`], without a note.
#[inline(always)]
pub fn registered(scratch: &Scratch) -> Result<PrincipalId, Reason> {
    let key = MacKey { mac: scratch.frame.src_mac, vlan: scratch.frame.vlan };
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    match unsafe { PRINCIPAL_BY_MAC.get(key) }.copied() {
        Some(home) if home.ifindex == scratch.ifindex => Ok(home.principal),
        Some(_) => Err(Reason::SpoofMac),
        None => Ok(PrincipalId::UNKNOWN),
    }
}

/// Who a frame that is not IP is for: the holder of its MAC, or everyone, as a bridge floods what it does not know.
#[inline(always)]
pub fn addressee(scratch: &Scratch) -> PrincipalId {
    let key = MacKey { mac: scratch.frame.dst_mac, vlan: scratch.frame.vlan };
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    match unsafe { PRINCIPAL_BY_MAC.get(key) } {
        Some(home) => home.principal,
        None => PrincipalId::EVERYONE,
    }
}

/// Notes a sender that the daemon has not registered.
#[inline(always)]
fn stranger(scratch: &mut Scratch) {
    let key = LinkKey { ifindex: scratch.ifindex, mac: scratch.frame.src_mac, vlan: scratch.frame.vlan };
    if let Some(known) = STRANGERS.get_ptr_mut(key) {
        // SAFETY: the entry stays mapped while the program runs; a lost update of `last` loses nothing.
        let known = unsafe { &mut *known };
        atomic::add(&mut known.frames, 1);
        known.last = scratch.now;
        return;
    }
    let fresh = Stranger { first: scratch.now, last: scratch.now, frames: 1 };
    // A full table is a flood of made-up MACs; each frame of it is dropped as `principal.new` and counted.
    if STRANGERS.insert(key, fresh, BPF_NOEXIST as u64).is_ok() {
        let mut addr = Addr([0; 16]);
        let mut i = 0;
        while i < 6 {
            addr.0[i] = key.mac[i];
            i += 1;
        }
        let key = notice(addr, PrincipalId(scratch.ifindex), key.vlan);
        observe::notify(scratch, Ring::Stranger, key);
    }
}

/// Checks that the sender of the frame at hand holds `addr`, and binds the address if it is free.
#[inline(never)]
pub fn claim(scratch: &mut Scratch, principal: PrincipalId, addr: &Addr) -> Result<(), Reason> {
    let key = addr_key(*addr, scratch.link);
    let owner = MacKey { mac: scratch.frame.src_mac, vlan: scratch.frame.vlan };
    if let Some(binding) = BINDINGS.get_ptr_mut(key) {
        // SAFETY: the entry stays mapped while the program runs; the owner is compared field by field below, and a
        // slot reused under us would have to hold this very owner to pass.
        let binding = unsafe { &mut *binding };
        if binding.owner.mac == owner.mac && binding.owner.vlan == owner.vlan {
            if scratch.now - binding.seen > SEEN_EVERY_NS {
                binding.seen = scratch.now;
            }
            return Ok(());
        }
        if binding.leased != 0 || scratch.now - binding.seen < CLAIM_HOLDS_NS {
            return Err(Reason::SpoofIp);
        }
    }
    if is_present(HOSTS.get_ptr(key)) || !on_link(scratch.link, *addr) {
        return Err(Reason::SpoofIp);
    }
    bind(scratch, principal, key, owner, 0)
}

/// Binds an address that a DHCP server has given to a client.
#[inline(never)]
pub fn lease(scratch: &mut Scratch, client: &[u8; 6], addr: &Addr) -> Result<(), Reason> {
    let owner = MacKey { mac: *client, vlan: scratch.frame.vlan };
    // SAFETY: the value is copied at once.
    let principal = match unsafe { PRINCIPAL_BY_MAC.get(owner) } {
        Some(home) => home.principal,
        None => return Ok(()),
    };
    let key = addr_key(*addr, scratch.link);
    if let Some(binding) = BINDINGS.get_ptr_mut(key) {
        // SAFETY: as in `claim`.
        let binding = unsafe { &mut *binding };
        if binding.owner.mac == owner.mac && binding.owner.vlan == owner.vlan {
            binding.seen = scratch.now;
            binding.leased = 1;
            return Ok(());
        }
    }
    bind(scratch, principal, key, owner, 1)
}

#[inline(always)]
fn bind(
    scratch: &mut Scratch,
    principal: PrincipalId,
    key: AddrKey,
    owner: MacKey,
    leased: u8,
) -> Result<(), Reason> {
    make_room(principal, key, owner)?;
    let binding = Binding { seen: scratch.now, owner, leased, _pad: [0; 7] };
    if BINDINGS.insert(key, binding, BPF_ANY as u64).is_err() {
        return Err(Reason::TableFull);
    }
    pass::changed();
    // A stranger's address is found by its MAC once it is registered.
    if principal != PrincipalId::UNKNOWN {
        observe::notify(scratch, Ring::Bound, notice(key.addr, principal, 0));
    }
    Ok(())
}

/// Notes the new address of a principal; beyond [`abi::ADDRESSES_EACH`] its oldest one becomes free.
#[inline(always)]
fn make_room(principal: PrincipalId, key: AddrKey, owner: MacKey) -> Result<(), Reason> {
    let Some(usage) = observe::usage(principal) else { return Err(Reason::Quota) };
    let Some(addresses) = ADDRESSES.get_ptr_mut(principal.0) else { return Err(Reason::Quota) };
    // SAFETY: array entries are always mapped. Two CPUs at once may note one address too many or too few, which the
    // next round mends.
    let (usage, addresses) = unsafe { (&mut *usage, &mut *addresses) };
    let made = usage.addresses as usize;
    let slot = &mut addresses.keys[made & (abi::ADDRESSES_EACH - 1)];
    let oldest = *slot;
    *slot = key;
    atomic::add(&raw mut usage.addresses, 1);
    if made < abi::ADDRESSES_EACH {
        return Ok(());
    }
    // SAFETY: the value is copied at once.
    if let Some(binding) = unsafe { BINDINGS.get(oldest) }.copied() {
        let releases = if principal == PrincipalId::UNKNOWN {
            // Strangers share these places, unless one was registered meanwhile: made-up senders claim no more.
            !is_present(PRINCIPAL_BY_MAC.get_ptr(binding.owner))
        } else {
            binding.owner.mac == owner.mac && binding.owner.vlan == owner.vlan
        };
        if releases {
            let _ = BINDINGS.remove(oldest);
            pass::changed();
        }
    }
    Ok(())
}

/// Whether the address can only be a device's, although none has shown it yet.
#[inline(never)]
pub fn is_inside(addr: &Addr) -> bool {
    on_link(0, *addr)
}

/// Whether devices of this link may hold the address.
#[inline(always)]
fn on_link(link: u32, addr: Addr) -> bool {
    let key = Key::new(160, NetworkKey { link: link.to_be_bytes(), addr });
    is_present(NETWORKS.get(key).map(|present| &raw const *present))
}

/// Whether an address is one of this link: of its networks, or without a meaning elsewhere.
#[inline(never)]
pub fn is_near(addr: &Addr, link: u32) -> bool {
    addr.is_everyone() || addr.is_link_local() || addr.is_unspecified() || on_link(link, *addr)
}

/// Who holds an address: the box, a device, a known outside host, or [`PrincipalId::UNKNOWN`].
#[inline(never)]
pub fn holder(addr: &Addr, link: u32) -> Holder {
    if addr.is_everyone() {
        return Holder::Known(PrincipalId::EVERYONE);
    }
    let key = addr_key(*addr, link);
    // SAFETY: values are copied at once.
    if let Some(principal) = unsafe { HOSTS.get(key) } {
        return Holder::Known(*principal);
    }
    // SAFETY: as above.
    if let Some(binding) = unsafe { BINDINGS.get(key) } {
        let owner = binding.owner;
        // SAFETY: as above.
        if let Some(home) = unsafe { PRINCIPAL_BY_MAC.get(owner) } {
            return Holder::Device(home.principal);
        }
    }
    Holder::Unknown
}

/// Who the holder of an address is for this device: for one outside, who stands for the name that led the device there
/// comes before who is known by the address. A name that nobody stands for is nobody, unless the model has an edge to the
/// address: whoever may go there need not ask for a name.
#[inline(always)]
pub fn as_known_by(scratch: &Scratch, device: PrincipalId, addr: &Addr, holder: Holder) -> PrincipalId {
    let by_address = holder.principal();
    let is_outside = match holder {
        Holder::Device(_) => false,
        Holder::Known(principal) => principal.0 >= PrincipalId::FIRST,
        Holder::Unknown => true,
    };
    if !is_outside || device == PrincipalId::UNKNOWN {
        return by_address;
    }
    match names::holder(device, addr, scratch.now) {
        Known::NoName => by_address,
        Known::Nobody if edge::is_held(scratch, device, by_address) => by_address,
        Known::Nobody => PrincipalId::UNKNOWN,
        Known::As(named) => named,
    }
}

/// What [`holder`] found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The box, everyone, or an outside host.
    Known(PrincipalId),
    /// A device of the site.
    Device(PrincipalId),
    /// Nobody that is registered.
    Unknown,
}

impl Holder {
    /// Its number.
    #[inline(always)]
    pub fn principal(self) -> PrincipalId {
        match self {
            Self::Known(principal) | Self::Device(principal) => principal,
            Self::Unknown => PrincipalId::UNKNOWN,
        }
    }
}

/// Whether a DHCP server is expected on this port.
#[inline(always)]
pub fn is_dhcp_server(ifindex: u32) -> bool {
    matches!(config::port(ifindex), Some(port) if port.dhcp_server != 0)
}
