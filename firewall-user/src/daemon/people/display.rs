//! The code on a connected display, for a box without SSH: while nobody is paired, or once if a [note](super::note) asks.
//!
//! Who sees the display is at the box. A code that is shown ends with what it is shown for: when somebody is paired in
//! another way, nobody becomes an owner by reading a display that was forgotten.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use dashboard::{qr, rpc::PairingCode};
use graph::Now;
use nix::fcntl::OFlag;

use crate::pairing::Pairing;

/// How long a code is shown, in seconds.
pub(super) const LIFETIME: u32 = 600;
/// Clears a console, with what was scrolled out of it.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// A console with a display.
#[derive(Debug)]
pub(super) struct Display {
    path: PathBuf,
    shown: Option<Shown>,
    /// Whether a code shall be shown although somebody is paired.
    is_asked: bool,
}

#[derive(Debug)]
struct Shown {
    code: String,
    /// Boot-time nanoseconds.
    until: u64,
    was_asked: bool,
    is_visible: bool,
}

impl Display {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, shown: None, is_asked: false }
    }

    /// Shows one code as soon as the page can be reached.
    pub(super) const fn ask(&mut self) {
        self.is_asked = true;
    }

    /// Takes away what must not be seen any more; whether a code shall be shown now.
    pub(super) fn keep(&mut self, pairing: &mut Pairing, now: Now) -> bool {
        let is_needed = !pairing.is_anyone_in(now);
        if let Some(shown) = &mut self.shown {
            let stays = now.boot_ns < shown.until && (is_needed || shown.was_asked);
            if shown.is_visible && !(stays && pairing.is_open(&shown.code, now)) {
                tell(&self.path, CLEAR);
                shown.is_visible = false;
            }
            if stays {
                // One that was used up by wrong tries is not replaced before its time.
                return false;
            }
            pairing.burn(&shown.code);
            self.shown = None;
        }
        is_needed || self.is_asked
    }

    /// Shows a code, which is burnt where nobody can see it.
    pub(super) fn show(&mut self, code: &PairingCode, pairing: &mut Pairing, now: Now) {
        let was_asked = std::mem::take(&mut self.is_asked);
        let until = now.boot_ns + u64::from(LIFETIME) * 1_000_000_000;
        let is_visible = sheet(code).is_some_and(|sheet| tell(&self.path, &sheet));
        if !is_visible {
            pairing.burn(&code.code);
        }
        self.shown = Some(Shown { code: code.code.clone(), until, was_asked, is_visible });
    }
}

/// What stands on the display; `None` while phones cannot reach the page.
fn sheet(code: &PairingCode) -> Option<String> {
    let urls: Vec<String> = code.urls().collect();
    let (url, authority) = (urls.first()?, code.authority.as_ref()?);
    // There is room for one picture; what is typed goes to any address.
    let pages: Vec<&str> = urls.iter().filter_map(|url| url.split("/#").next()).collect();
    let text = format!(
        "{picture}\n\
         Edgeward: connect a phone. Scan this, or open {pages} on the phone and type\n\n    \
         {typed}\n\n\
         The phone warns that it does not know who vouches for this page: this box does.\n\
         Go on if the page shows these four words: {words}\n\
         The code is for one {role} and valid for 10 minutes.\n",
        picture = qr::for_terminal(url).unwrap_or_default(),
        pages = pages.join(" or "),
        typed = code.typed,
        words = authority.words.join(" "),
        role = code.role.as_str(),
    );
    // A console may not add what a line feed lacks.
    Some(format!("{CLEAR}{}", text.replace('\n', "\r\n")))
}

/// Writes to a console without waiting for it; whether all of it was taken.
fn tell(path: &Path, text: &str) -> bool {
    let written = (|| -> io::Result<()> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        OpenOptions::new().append(true).custom_flags(flags.bits()).open(path)?.write_all(text.as_bytes())
    })();
    if let Err(error) = &written {
        tracing::warn!(%error, path = %path.display(), "The display for codes cannot be written");
    }
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dashboard::view::{Authority, Role};
    use nix::pty::openpty;

    use super::*;
    use crate::pairing::CODE_BYTES;

    fn at(seconds: u64) -> Now {
        Now { boot_ns: seconds * 1_000_000_000, unix: seconds.cast_signed(), ..Now::default() }
    }

    /// A box with a display that is a file.
    struct Box {
        file: tempfile::NamedTempFile,
        display: Display,
        pairing: Pairing,
        codes: u8,
    }

    impl Box {
        fn new() -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            let display = Display::new(file.path().to_owned());
            Self { file, display, pairing: Pairing::default(), codes: 0 }
        }

        /// What is to be seen after some time.
        fn look(&mut self, seconds: u64) -> String {
            if self.display.keep(&mut self.pairing, at(seconds)) {
                self.codes += 1;
                let code =
                    self.pairing.make_code([self.codes; CODE_BYTES], LIFETIME, Role::Owner, at(seconds));
                let authority = Authority {
                    name: "Edgeward a b c d".to_owned(),
                    words: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
                    fingerprint: "0123456789abcdef0123".to_owned(),
                    expires_at: None,
                };
                let listening = vec!["192.168.1.1:8443".parse().unwrap()];
                let code = PairingCode { listening, authority: Some(authority), ..code };
                self.display.show(&code, &mut self.pairing, at(seconds));
            }
            let all = fs::read_to_string(self.file.path()).unwrap();
            all.rsplit(CLEAR).next().unwrap_or_default().to_owned()
        }

        fn pair(&mut self, code: &str, seconds: u64) -> Result<String, String> {
            let paired = self.pairing.redeem(code, "phone", None, [self.codes; 32], at(seconds));
            paired.map(|(session, _)| session.token).map_err(|refusal| refusal.code)
        }
    }

    /// The code that is to be typed.
    fn typed(shown: &str) -> String {
        let is_code = |line: &&str| line.len() == 9 && line.as_bytes()[4] == b'-';
        shown.lines().map(str::trim).find(is_code).expect("a code is shown").to_owned()
    }

    #[test]
    fn a_code_is_shown_until_someone_is_paired_and_never_then() {
        let mut one = Box::new();
        let shown = one.look(0);
        assert!(shown.contains("https://192.168.1.1:8443 ") && shown.contains("a b c d"), "{shown}");
        let token = one.pair(&typed(&shown), 5).unwrap();
        for seconds in [5, 700, 100_000] {
            assert_eq!(one.look(seconds), "");
        }
        one.pairing.end(&token);
        assert_ne!(one.look(100_001), "", "nobody is paired any more");
    }

    #[test]
    fn what_was_shown_ends_when_someone_is_paired_in_another_way() {
        let mut one = Box::new();
        let shown = one.look(0);
        let other = one.pairing.make_code([77; CODE_BYTES], 60, Role::Owner, at(1));
        one.pair(&other.code, 2).unwrap();
        assert_eq!(one.look(2), "");
        assert_eq!(one.pair(&typed(&shown), 3), Err("too_many".to_owned()), "it is burnt");
    }

    #[test]
    fn a_new_one_comes_when_the_old_one_has_expired_and_not_for_wrong_tries() {
        let mut one = Box::new();
        let first = one.look(0);
        assert_eq!(one.look(599), first);
        for _ in 0..5 {
            one.pair("guess", 599).unwrap_err();
        }
        assert_eq!(one.look(599), "", "burnt");
        let second = one.look(600);
        assert_ne!(typed(&second), typed(&first));
        assert!(one.pair(&typed(&second), 601).is_ok());
    }

    #[test]
    fn who_asks_sees_one_although_someone_is_paired() {
        let mut one = Box::new();
        let shown = one.look(0);
        one.pair(&typed(&shown), 1).unwrap();
        assert_eq!(one.look(2), "");
        one.display.ask();
        let shown = one.look(3);
        one.pair(&typed(&shown), 4).unwrap();
        for seconds in [4, 700] {
            assert_eq!(one.look(seconds), "", "once");
        }
    }

    #[test]
    fn a_console_is_written_and_one_that_is_not_there_burns_its_code() {
        let console = openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&console.slave).unwrap();
        assert!(tell(&path, "Hello"));
        let mut text = [0; 5];
        nix::unistd::read(&console.master, &mut text).unwrap();
        assert_eq!(&text, b"Hello");

        let mut one = Box::new();
        one.display = Display::new(one.file.path().join("none"));
        one.look(0);
        assert!(!one.pairing.is_anyone_in(at(0)) && one.pairing.open_for(at(0)).is_none());
    }
}
