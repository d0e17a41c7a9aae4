//! The committed corpus as ordinary tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders: BTreeSet<String> = fs::read_dir(corpus())
        .expect("the corpus is part of the checkout")
        .map(|entry| entry.expect("a folder can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    let targets: BTreeSet<String> = fuzz::TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, targets);
}

#[test]
fn the_corpus_keeps_all_properties() {
    for target in fuzz::TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus().join(target.name)).expect("every target has a corpus") {
            let path = entry.expect("a folder can be listed").path();
            let bytes = fs::read(&path).expect("a file of the corpus can be read");
            println!("{}", path.display());
            (target.check)(&bytes);
            files += 1;
        }
        assert!(files >= 3, "{} has {files} files", target.name);
    }
}

#[test]
fn a_cut_corpus_keeps_all_properties() {
    for target in fuzz::TARGETS {
        for entry in fs::read_dir(corpus().join(target.name)).expect("every target has a corpus") {
            let path = entry.expect("a folder can be listed").path();
            let bytes = fs::read(&path).expect("a file of the corpus can be read");
            println!("{}", path.display());
            for end in 0..bytes.len().min(300) {
                (target.check)(&bytes[..end]);
            }
        }
    }
}
