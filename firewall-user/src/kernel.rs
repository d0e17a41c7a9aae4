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

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{MapData, MapError, ProgramArray, RingBuf},
    programs::{Program, ProgramError, TestRun, TestRunOptions},
    util::KernelVersion,
};

use firewall_common::abi::stage;

pub use self::{
    attach::{Holder, Hook, Xdping, detach_clsact},
    bells::{Bells, Rung},
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
    /// Where the program array of these programs is pinned.
    stages: PathBuf,
    /// Held in case somebody removes the pin.
    _array: ProgramArray<MapData>,
    holder: Holder,
}

impl Kernel {
    /// Loads the programs into the pinned maps, or into new ones.
    pub fn load(pins: Pins) -> Result<(Self, Maps), KernelError> {
        Self::load_for(pins, Holder::of_this_kernel())
    }

    /// As [`Kernel::load`], attached as another kernel would have it.
    pub fn load_for(pins: Pins, holder: Holder) -> Result<(Self, Maps), KernelError> {
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
        // The kernel empties a program array that no process and no pin holds, so each set of programs pins its own.
        let stages = pins.new_stages().map_err(KernelError::Stages)?;
        loader.map_pin_path(STAGES, stages.clone());
        let mut ebpf = loader.load(OBJECT)?;
        for hook in Hook::ALL {
            load_program(attach::program(&mut ebpf, hook.program())?, hook.program())?;
        }
        let array = fill_stages(&mut ebpf)?;
        let maps = Maps::take(&mut ebpf)?;
        Ok((Self { ebpf, pins, stages, _array: array, holder }, maps))
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
        self.pins.remove_other_stages(&self.stages)?;
        self.pins.remove_other_schemas()
    }

    /// The entry program of a hook, for those who measure it.
    pub fn program(&mut self, hook: Hook) -> Result<OwnedFd, KernelError> {
        let wrong = |source| KernelError::Program { name: hook.program(), source };
        let program = attach::program(&mut self.ebpf, hook.program())?.fd().map_err(wrong)?;
        program.as_fd().try_clone_to_owned().map_err(|error| wrong(error.into()))
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
        let result = match attach::program(&mut self.ebpf, hook.program())? {
            Program::SchedClassifier(program) => program.test_run(options),
            Program::Xdp(program) => program.test_run(options),
            _ => Err(ProgramError::UnexpectedProgramType),
        }
        .map_err(|source| KernelError::Program { name: hook.program(), source })?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }
}

/// The program array through which a hook's entry reaches its later stages.
const STAGES: &str = "STAGES";

fn fill_stages(ebpf: &mut Ebpf) -> Result<ProgramArray<MapData>, KernelError> {
    let wrong = |source| KernelError::Map { name: STAGES, source };
    let mut stages = ProgramArray::try_from(maps::take(ebpf, STAGES)?).map_err(wrong)?;
    for &(name, slot) in stage::PROGRAMS {
        let program = attach::program(ebpf, name)?;
        load_program(program, name)?;
        let fd = program.fd().map_err(|source| KernelError::Program { name, source })?;
        stages.set(slot, fd, 0).map_err(wrong)?;
    }
    Ok(stages)
}

fn load_program(program: &mut Program, name: &'static str) -> Result<(), KernelError> {
    let loaded = match program {
        Program::SchedClassifier(program) => program.load(),
        Program::Xdp(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    loaded.map_err(|error| match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            tracing::debug!("{log}");
            KernelError::Refused { name, reason: last_words(&log), source: io_error }
        }
        source => KernelError::Program { name, source },
    })
}

/// What the verifier says at the end of its log, apart from its figures; the log itself can have a million lines.
fn last_words(log: &str) -> String {
    const FIGURES: [&str; 4] = ["verification time", "stack depth", "processed ", "insns"];
    log.lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !FIGURES.iter().any(|figure| line.starts_with(figure)))
        .unwrap_or("no reason given")
        .to_owned()
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
    #[error("the kernel refuses the program {name} ({reason}); report it with the output of `uname -a`")]
    Refused { name: &'static str, reason: String, source: io::Error },
    #[error("cannot use the program {name}")]
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
    #[error("cannot make room for the programs in the BPF filesystem")]
    Stages(#[source] io::Error),
    #[error("cannot listen to the kernel programs")]
    Ring(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_the_verifier_are_its_reason() {
        let log = "0: R1=ctx()\nR4 min value is negative\nverification time 5 usec\nstack depth 8\nprocessed 3 insns\n";
        assert_eq!(last_words(log), "R4 min value is negative");
        assert_eq!(last_words(""), "no reason given");
    }

    #[test]
    fn the_object_defines_every_map_as_the_types_say() {
        if !is_built_in() {
            eprintln!("not run, because this was built without kernel programs");
            assert!(std::env::var_os("EDGEWARD_EXPECT_ALL").is_none() && std::env::var_os("CI").is_none());
            return;
        }
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        for &(name, key, value, entries) in firewall_common::abi::MAPS {
            let map = object.maps.get(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(
                (map.key_size(), map.value_size(), map.max_entries()),
                (key, value, entries),
                "{name}"
            );
        }
        for hook in Hook::ALL {
            assert!(object.programs.contains_key(hook.program()), "{}", hook.program());
        }
    }
}
