//! Programs at interfaces.
//!
//! From kernel 6.6 on a program is held by a TCX link that is pinned: it stays when the daemon ends, and a newer program
//! takes its place in one step. Before, it is a filter of the `clsact` queueing discipline, which stays by itself and is
//! replaced by priority and handle. A link dies with its interface and is made anew when the interface comes back.

use std::{fs, io, path::Path};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
        links::{FdLink, PinnedLink},
        tc::{
            NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
            qdisc_detach_program,
        },
        xdp::XdpLink,
    },
    util::KernelVersion,
};

use super::{KernelError, pins::Pins};
use crate::net::InterfaceName;

/// A place where frames are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// What devices send.
    LanIngress,
    /// What is delivered to devices.
    LanEgress,
    /// What comes from beyond the uplink.
    Uplink,
    /// What devices send, before the kernel makes a buffer of it.
    Xdp,
}

impl Hook {
    pub const ALL: [Self; 4] = [Self::LanIngress, Self::LanEgress, Self::Uplink, Self::Xdp];

    /// The name of the program in the object.
    pub const fn program(self) -> &'static str {
        match self {
            Self::LanIngress => "edgeward_lan_ingress",
            Self::LanEgress => "edgeward_lan_egress",
            Self::Uplink => "edgeward_uplink",
            Self::Xdp => "edgeward_xdp",
        }
    }

    /// The name in `status` and in the pin of a link.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LanIngress => "lan_ingress",
            Self::LanEgress => "lan_egress",
            Self::Uplink => "uplink",
            Self::Xdp => "xdp",
        }
    }

    const fn direction(self) -> TcAttachType {
        match self {
            Self::LanEgress => TcAttachType::Egress,
            Self::LanIngress | Self::Uplink | Self::Xdp => TcAttachType::Ingress,
        }
    }
}

/// How XDP runs at an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xdping {
    /// In the driver.
    Native,
    /// After the driver, on any interface.
    Generic,
}

/// How the kernel holds a TC program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// By a pinned link, from 6.6 on.
    Tcx,
    /// As a filter of the `clsact` queueing discipline.
    Clsact,
}

impl Holder {
    pub(super) fn of_this_kernel() -> Self {
        match KernelVersion::current() {
            Ok(version) if version < KernelVersion::new(6, 6, 0) => Self::Clsact,
            Ok(_) | Err(_) => Self::Tcx,
        }
    }
}

/// First among the filters of an interface; fixed, so that a newer program finds the older one.
const PRIORITY: u16 = 1;
const HANDLE: TcHandle = TcHandle::new(0, 1);

pub(super) fn attach_tc(
    ebpf: &mut Ebpf,
    pins: &Pins,
    holder: Holder,
    interface: &InterfaceName,
    hook: Hook,
) -> Result<(), KernelError> {
    let program = classifier(ebpf, hook)?;
    match holder {
        Holder::Tcx => attach_tcx(program, &pins.link(interface.as_str(), hook.as_str()), interface, hook),
        Holder::Clsact => attach_clsact(program, interface, hook),
    }
    .map_err(|source| KernelError::Attach {
        hook: hook.as_str(),
        interface: interface.clone(),
        source: source.into(),
    })
}

fn attach_tcx(
    program: &mut SchedClassifier,
    pin: &Path,
    interface: &InterfaceName,
    hook: Hook,
) -> Result<(), AttachError> {
    if let Some(link) = adopt(pin)
        && program.attach_to_link(SchedClassifierLink::try_from(link)?).is_ok()
        && runs_at(program, interface, hook)?
    {
        return Ok(());
    }
    // No link, or one whose interface is gone or has another name now.
    remove_pin(pin)?;
    let link = program.attach_with_options(
        interface.as_str(),
        hook.direction(),
        // Whatever else is attached must see judged frames only.
        TcAttachOptions::TcxOrder(LinkOrder::first()),
    )?;
    FdLink::try_from(program.take_link(link)?)?.pin(pin)?;
    Ok(())
}

/// Whether the program is among those that the interface runs: a pinned link may belong to an interface that had this
/// name before.
fn runs_at(program: &SchedClassifier, interface: &InterfaceName, hook: Hook) -> Result<bool, ProgramError> {
    let id = program.info()?.id();
    let (_, programs) = SchedClassifier::query_tcx(interface.as_str(), hook.direction())?;
    Ok(programs.iter().any(|program| program.id() == id))
}

fn attach_clsact(
    program: &mut SchedClassifier,
    interface: &InterfaceName,
    hook: Hook,
) -> Result<(), AttachError> {
    match qdisc_add_clsact(interface.as_str()) {
        Err(error) if !exists_already(&error) => return Err(error.into()),
        _ => {}
    }
    let direction = hook.direction();
    let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
    let link =
        match program.attach_with_options(interface.as_str(), direction, TcAttachOptions::Netlink(options)) {
            Ok(link) => link,
            Err(ProgramError::TcError(error)) if exists_already(&error) => program.attach_to_link(
                SchedClassifierLink::attached(interface.as_str(), direction, PRIORITY, HANDLE, None)?,
            )?,
            Err(error) => return Err(error.into()),
        };
    // The filter stays by itself; dropping the link would detach it.
    std::mem::forget(program.take_link(link)?);
    Ok(())
}

fn exists_already(error: &TcError) -> bool {
    match error {
        TcError::AlreadyAttached => true,
        TcError::NetlinkError(error) => error.raw_os_error() == Some(libc::EEXIST),
        TcError::IoError(error) => error.raw_os_error() == Some(libc::EEXIST),
        _ => false,
    }
}

pub(super) fn attach_xdp(
    ebpf: &mut Ebpf,
    pins: &Pins,
    interface: &InterfaceName,
    how: Xdping,
) -> Result<(), KernelError> {
    let hook = Hook::Xdp;
    let pin = pins.link(interface.as_str(), hook.as_str());
    let mode = match how {
        Xdping::Native => XdpMode::Driver,
        Xdping::Generic => XdpMode::Skb,
    };
    let attach = |program: &mut Xdp| -> Result<(), AttachError> {
        if let Some(link) = adopt(&pin)
            && program.attach_to_link(XdpLink::try_from(link)?).is_ok()
        {
            return Ok(());
        }
        remove_pin(&pin)?;
        let link = program.attach(interface.as_str(), mode)?;
        FdLink::try_from(program.take_link(link)?)?.pin(&pin)?;
        Ok(())
    };
    let program: &mut Xdp = program(ebpf, hook.program())?
        .try_into()
        .map_err(|source| KernelError::Program { name: hook.program(), source })?;
    attach(program).map_err(|source| KernelError::Attach {
        hook: hook.as_str(),
        interface: interface.clone(),
        source: source.into(),
    })
}

/// Detaches what no configured interface needs any more.
pub(super) fn remove_stale(pins: &Pins, keep: &[(InterfaceName, Hook)]) -> io::Result<()> {
    let keep: Vec<_> =
        keep.iter().map(|(interface, hook)| pins.link(interface.as_str(), hook.as_str())).collect();
    for entry in fs::read_dir(pins.links())? {
        let path = entry?.path();
        if !keep.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes our filters from an interface of a kernel without TCX.
pub fn detach_clsact(interface: &InterfaceName) {
    for hook in [Hook::LanIngress, Hook::LanEgress, Hook::Uplink] {
        // Not being there is what is wanted.
        let _absent = qdisc_detach_program(interface.as_str(), hook.direction(), hook.program());
    }
}

pub(super) fn classifier(ebpf: &mut Ebpf, hook: Hook) -> Result<&mut SchedClassifier, KernelError> {
    program(ebpf, hook.program())?
        .try_into()
        .map_err(|source| KernelError::Program { name: hook.program(), source })
}

pub(super) fn program<'e>(ebpf: &'e mut Ebpf, name: &'static str) -> Result<&'e mut Program, KernelError> {
    ebpf.program_mut(name).ok_or(KernelError::NoProgram { name })
}

fn adopt(pin: &Path) -> Option<FdLink> {
    PinnedLink::from_pin(pin).ok().map(FdLink::from)
}

fn remove_pin(pin: &Path) -> io::Result<()> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Why a program is not at an interface.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Link(#[from] aya::programs::links::LinkError),
    #[error(transparent)]
    Tc(#[from] TcError),
    #[error(transparent)]
    Pin(#[from] aya::pin::PinError),
    #[error(transparent)]
    Io(#[from] io::Error),
}
