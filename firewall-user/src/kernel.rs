//! Everything that touches the kernel programs; the only module that knows aya.
//!
//! [`Kernel::load`] opens what is pinned, compares it with the embedded object, loads the programs into the same maps
//! and [`Kernel::attach`] puts them at interfaces. From then on the daemon writes [`Maps`] and listens to [`Bells`].
//! Ending the process changes nothing of that: maps and links are pinned.

// From the object to maps and programs at interfaces.
mod attach;
mod pins;

// What the daemon works with.
mod bells;
mod maps;

use std::{io, path::PathBuf};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{MapError, RingBuf},
    programs::{Program, ProgramError, TestRun, TestRunOptions},
    util::KernelVersion,
};

pub use self::{
    attach::{Hook, Xdping, detach_clsact},
    bells::Bells,
    maps::{Balance, Counters, MapUse, Maps, Plain, Prefix, Prefixes, Slots, Table},
    pins::{Pins, Shape},
};
use crate::net::InterfaceName;

/// The kernel programs; empty if there were none when this program was built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/firewall-ebpf"));

/// Whether this program was built with kernel programs.
pub fn is_built_in() -> bool {
    !OBJECT.is_empty()
}

/// The oldest kernel whose verifier and helpers suffice.
const OLDEST: KernelVersion = KernelVersion::new(6, 1, 0);

/// The version of the running kernel, if it is too old.
pub fn too_old() -> Option<String> {
    if KernelVersion::current().is_ok_and(|version| version >= OLDEST) {
        return None;
    }
    Some(nix::sys::utsname::uname().map_or_else(
        |_| "of unknown version".to_owned(),
        |name| name.release().to_string_lossy().into_owned(),
    ))
}

/// The loaded programs.
pub struct Kernel {
    ebpf: Ebpf,
    pins: Pins,
    holder: attach::Holder,
}

impl Kernel {
    /// Loads the programs into the pinned maps, or into new ones.
    pub fn load(pins: Pins) -> Result<(Self, Maps), KernelError> {
        if !is_built_in() {
            return Err(KernelError::NotBuiltIn);
        }
        if let Some(version) = too_old() {
            return Err(KernelError::TooOld { version });
        }
        pins.compare(&aya_obj::Object::parse(OBJECT)?)?;

        let mut loader = EbpfLoader::new();
        // No program needs the kernel's types, and kernels of small boards do not have them.
        loader.btf(None);
        for name in maps::pinned_names() {
            loader.map_pin_path(name, pins.map(name));
        }
        let mut ebpf = loader.load(OBJECT)?;
        for hook in Hook::ALL {
            load_program(attach::program(&mut ebpf, hook)?)
                .map_err(|source| KernelError::Program { name: hook.program(), source })?;
        }
        let maps = Maps::take(&mut ebpf)?;
        Ok((Self { ebpf, pins, holder: attach::Holder::of_this_kernel() }, maps))
    }

    /// The reading end of the ring buffer; there is one.
    pub fn bells(&mut self) -> Result<Bells, KernelError> {
        let name = maps::EVENTS;
        let ring = RingBuf::try_from(maps::take(&mut self.ebpf, name)?)
            .map_err(|source| KernelError::Map { name, source })?;
        Bells::new(ring).map_err(KernelError::Ring)
    }

    /// Puts the program of a hook at an interface, in the place of an older one.
    pub fn attach(&mut self, interface: &InterfaceName, hook: Hook) -> Result<(), KernelError> {
        attach::attach_tc(&mut self.ebpf, &self.pins, self.holder, interface, hook)
    }

    /// Puts the XDP program at an interface, in the place of an older one.
    pub fn attach_xdp(&mut self, interface: &InterfaceName, how: Xdping) -> Result<(), KernelError> {
        attach::attach_xdp(&mut self.ebpf, &self.pins, interface, how)
    }

    /// Detaches what is not in this list, and what other versions left behind.
    pub fn keep_only(&self, attached: &[(InterfaceName, Hook)]) -> io::Result<()> {
        attach::remove_stale(&self.pins, attached)?;
        self.pins.remove_other_schemas()
    }

    /// Runs a program on a frame without any interface (`BPF_PROG_TEST_RUN`) and returns its verdict and the frame as it
    /// left. `context` is a `struct __sk_buff` or `struct xdp_md`.
    pub fn test_run(
        &mut self,
        hook: Hook,
        frame: &[u8],
        context: &mut [u8],
    ) -> Result<(u32, Vec<u8>), KernelError> {
        let mut out = vec![0; frame.len() + 256];
        let context_in = context.to_vec();
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context_in),
            ctx_out: Some(context),
            ..TestRunOptions::default()
        };
        let result = match attach::program(&mut self.ebpf, hook)? {
            Program::SchedClassifier(program) => program.test_run(options),
            Program::Xdp(program) => program.test_run(options),
            _ => Err(ProgramError::UnexpectedProgramType),
        }
        .map_err(|source| KernelError::Program { name: hook.program(), source })?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }
}

fn load_program(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SchedClassifier(program) => program.load(),
        Program::Xdp(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// What can go wrong between the daemon and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("this program was built without kernel programs; run `cargo xtask build`")]
    NotBuiltIn,
    #[error("kernel {version} is too old; Edgeward needs 6.1 or newer")]
    TooOld { version: String },
    #[error("another instance of Edgeward uses {}; stop it, or choose another folder with --bpffs", path.display())]
    Locked { path: PathBuf },
    #[error("cannot use {} as a BPF filesystem", path.display())]
    Filesystem { path: PathBuf, source: io::Error },
    #[error(
        "the pinned map {name} is of another build ({found}; wanted: {wanted}); `edgeward unload` removes it, the model is kept"
    )]
    OtherShape { name: &'static str, found: Shape, wanted: Shape },
    #[error("the kernel programs cannot be read")]
    Parse(#[from] aya_obj::ParseError),
    #[error("the kernel programs cannot be loaded")]
    Load(#[from] EbpfError),
    #[error("the kernel refuses the program {name}")]
    Program { name: &'static str, source: ProgramError },
    #[error("the kernel programs have no {name}")]
    NoProgram { name: &'static str },
    #[error("the kernel programs have no map {name}")]
    NoMap { name: &'static str },
    #[error("cannot attach {hook} to {interface}")]
    Attach { hook: &'static str, interface: InterfaceName, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the map {name} is full ({capacity} entries)")]
    Full { name: &'static str, capacity: u32 },
    #[error("cannot use the map {name}")]
    Map { name: &'static str, source: MapError },
    #[error("cannot listen to the kernel programs")]
    Ring(#[source] io::Error),
}
