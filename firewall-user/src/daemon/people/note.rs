//! A note on the boot partition: who can put a file there may let a phone in at the next boot.
//!
//! The file `edgeward-pair` holds a code that its author has thought of, or is empty and has a code shown on the display. It
//! is removed before it counts, so that it counts once; one that cannot be removed counts for nothing.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

/// Names of the file; editors of Windows add the second's ending.
const NAMES: [&str; 2] = ["edgeward-pair", "edgeward-pair.txt"];
/// Characters of a code that somebody has thought of.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=64;
/// More is not read.
const LIMIT: u64 = 256;

/// What a note says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// This code lets a phone in.
    Code(String),
    /// A code shall be shown.
    Show,
}

/// Takes the notes out of these folders; the first that says something counts.
pub(super) fn take(folders: &[PathBuf]) -> Option<Note> {
    let paths = folders.iter().flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let notes: Vec<Note> = paths.filter_map(|path| take_one(&path)).collect();
    notes.into_iter().next()
}

fn take_one(path: &Path) -> Option<Note> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return refuse(path, &error.to_string()),
    };
    if let Err(error) = fs::remove_file(path) {
        return refuse(path, &format!("it cannot be removed ({error}), so it would count at each boot"));
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Some(Note::Show);
    }
    let is_code = LENGTH.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_code {
        return refuse(path, "write nothing into it, or a code of 8 to 64 letters and digits");
    }
    tracing::info!(path = %path.display(), "A note on the boot partition lets a phone in");
    Some(Note::Code(text.to_owned()))
}

fn refuse(path: &Path, why: &str) -> Option<Note> {
    tracing::warn!(path = %path.display(), "A note that lets a phone in does not count: {why}");
    None
}

fn read(path: &Path) -> io::Result<String> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str, text: &str) -> (Option<Note>, bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let note = take(&["/nowhere/at/all".into(), folder.path().to_owned()]);
        assert_eq!(take(&[folder.path().to_owned()]), None, "once");
        (note, path.exists())
    }

    #[test]
    fn a_note_counts_once() {
        let code = |text: &str| Some(Note::Code(text.to_owned()));
        assert_eq!(note("edgeward-pair", "sesame-open-7\n"), (code("sesame-open-7"), false));
        assert_eq!(note("edgeward-pair.txt", "\u{feff}sesame-open-7\r\n"), (code("sesame-open-7"), false));
        assert_eq!(note("edgeward-pair", " \n"), (Some(Note::Show), false));
    }

    #[test]
    fn what_is_no_code_is_none_and_goes_as_well() {
        for text in ["short", "two words here", "\u{202e}abcdefgh", &"x".repeat(65), &"x".repeat(4_000)] {
            assert_eq!(note("edgeward-pair", text), (None, false), "{text}");
        }
    }

    #[test]
    fn another_file_is_left_alone() {
        assert_eq!(note("edgeward-pairing", "sesame-open-7"), (None, true));
        let folder = tempfile::tempdir().unwrap();
        let (secret, link) = (folder.path().join("secret"), folder.path().join("edgeward-pair"));
        fs::write(&secret, "sesame-open-7").unwrap();
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        assert_eq!(take(&[folder.path().to_owned()]), None);
        assert!(secret.exists());
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        assert_eq!(take(&[folder.path().to_owned()]), None);
    }
}
