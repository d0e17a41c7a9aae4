//! Lists the files of the built page, so that the binary carries them.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let dist = manifest.join("web/dist");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=web/dist");
    println!("cargo:rerun-if-changed=web/placeholder.html");

    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &mut files)?;
        files.sort();
    } else {
        println!(
            "cargo:warning=the page is not built, a placeholder takes its place: run `cargo xtask build`"
        );
    }
    let mut table = String::from("&[\n");
    for file in &files {
        let path = file.strip_prefix(&dist).expect("collected below it");
        entry(&mut table, &path.to_string_lossy(), file);
    }
    if files.is_empty() {
        entry(&mut table, "index.html", &manifest.join("web/placeholder.html"));
    }
    table.push(']');
    fs::write(out.join("page.rs"), table)
}

fn entry(table: &mut String, path: &str, file: &Path) {
    let file = file.to_str().expect("the checkout has a path of plain text");
    writeln!(table, "    ({path:?}, include_bytes!({file:?})),").expect("a string takes everything");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
