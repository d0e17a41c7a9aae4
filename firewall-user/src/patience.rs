//! A moment for what a killed daemon has not let go of yet: the kernel takes its locks back when it is gone for good.

use std::{
    fs::File,
    io, thread,
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};

/// How long the next daemon waits for the last one's locks.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Tries until it succeeds, fails with something that waiting does not change, or takes too long.
pub fn patiently<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(error) if may_pass(&error) && Instant::now() < deadline => thread::sleep(POLL),
            outcome => return outcome,
        }
    }
}

/// Locks a file or folder for this process, as long as the lock is kept.
pub fn lock(file: &File) -> io::Result<Flock<File>> {
    let attempt = || {
        Flock::lock(file.try_clone()?, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| io::Error::from(error))
    };
    patiently(attempt, |error| error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_and_what_does_not_is_not() {
        let mut left = 3;
        let mut count_down = || {
            left -= 1;
            if left == 0 { Ok(()) } else { Err(left) }
        };
        assert_eq!(patiently(&mut count_down, |_| true), Ok(()));
        let mut tries = 0;
        let hopeless: Result<(), i32> = patiently(
            || {
                tries += 1;
                Err(tries)
            },
            |_| false,
        );
        assert_eq!(hopeless, Err(1));
    }
}
