//! Embeds the object with the kernel programs, which another compiler makes (`cargo xtask build`).
//!
//! Without an object the package still builds, with an empty one in its place: the command line, the page and most
//! tests need no kernel program, and the daemon says at start what is missing.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Names a prebuilt object.
const OBJECT: &str = "EDGEWARD_EBPF_OBJECT";
/// Where `cargo xtask build` leaves its own, from this package's folder.
const BUILT: &str = "../target/ebpf/bpfel-unknown-none/bpf/firewall-ebpf";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed={OBJECT}");
    println!("cargo:rerun-if-changed=build.rs");
    let object = env::var_os(OBJECT).map_or_else(|| manifest_dir().join(BUILT), PathBuf::from);
    // Cargo takes a path that does not exist for changed, so a later build of the object is seen.
    println!("cargo:rerun-if-changed={}", object.display());

    let embedded = Path::new(&env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR")).join("firewall-ebpf");
    if object.is_file() {
        fs::copy(&object, &embedded)?;
    } else {
        println!(
            "cargo:warning=built without kernel programs: {} does not exist; `cargo xtask build` makes it",
            object.display()
        );
        fs::write(&embedded, [])?;
    }
    Ok(())
}

fn manifest_dir() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR"))
}
