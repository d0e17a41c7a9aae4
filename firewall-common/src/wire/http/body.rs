//! A body in chunks (RFC 9112, section 7.1).

use super::{Http, flag, hex, phase};
use crate::reason::Reason;
use crate::wire::Event;
use crate::wire::request::more;

/// Longest line before a chunk.
const CHUNK_LINE_CAP: u16 = 256;
/// Most digits of the size of a chunk.
const SIZE_DIGITS: u8 = 8;

impl Http {
    #[inline(always)]
    pub(super) fn chunk_start(&mut self) {
        self.line = 0;
        self.digits = 0;
        self.body = 0;
        self.phase = phase::CHUNK_SIZE;
    }

    /// A byte behind the head: of a body, or around the chunks of one (RFC 9112, section 7.1).
    #[inline(always)]
    pub(super) fn chunk(&mut self, byte: u8) -> Event {
        let wanted = match self.phase {
            phase::CHUNK_SIZE => {
                if let Some(value) = hex(byte) {
                    self.digits += 1;
                    self.body = self.body << 4 | value as u64;
                    return more(if self.digits > SIZE_DIGITS { Err(Reason::Malformed) } else { Ok(()) });
                }
                self.phase = if byte == b';' { phase::CHUNK_EXTENSION } else { phase::CHUNK_LF };
                self.digits != 0 && (byte == b';' || byte == b'\r')
            }
            phase::CHUNK_EXTENSION => {
                self.line += 1;
                if byte == b'\r' {
                    self.phase = phase::CHUNK_LF;
                }
                let blank = byte == b' ' || byte == b'\t' || byte == b'\r';
                (blank || byte > b' ' && byte < 0x7f) && self.line < CHUNK_LINE_CAP
            }
            phase::CHUNK_LF => {
                if self.body == 0 {
                    self.flags |= flag::TRAILERS;
                    self.line_start();
                } else {
                    self.phase = phase::CHUNK_DATA;
                }
                byte == b'\n'
            }
            phase::CHUNK_END => {
                self.phase = phase::CHUNK_END_LF;
                byte == b'\r'
            }
            phase::CHUNK_END_LF => {
                self.chunk_start();
                byte == b'\n'
            }
            // The server has not agreed to the upgrade.
            phase::UPGRADE => false,
            _ => self.skip(1) != 0,
        };
        if wanted { Event::More } else { Event::Wrong(Reason::Malformed) }
    }
}
