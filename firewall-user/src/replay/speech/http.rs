//! HTTP/1.x.

use firewall_common::{
    abi::{Kind, Protocol},
    reason::Reason,
    wire::{Event, Note, Sender, http, object::Object},
};
use graph::operation::Verb;

use super::{Draft, key};
use crate::replay::record::Message;

/// A connection that speaks HTTP.
#[derive(Debug)]
pub(in crate::replay) struct Http {
    client: http::Http,
    server: http::Http,
    object: Object,
    /// The request whose body is on its way.
    draft: Draft,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            client: http::Http::NEW,
            server: http::Http::NEW,
            object: Object::EMPTY,
            draft: Draft::new(Protocol::Http),
        }
    }
}

impl Http {
    pub(super) const fn is_certain(&self) -> bool {
        self.client.is_recognised() || self.server.is_recognised()
    }

    pub(super) fn hear(
        &mut self,
        sender: Sender,
        bytes: &[u8],
        said: &mut Vec<Message>,
    ) -> Result<(), Reason> {
        let key = key();
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            let machine = match sender {
                Sender::Client => &mut self.client,
                Sender::Server => &mut self.server,
            };
            let skipped = machine.skip(rest.len() as u32) as usize;
            let event = if skipped > 0 {
                rest = rest.get(skipped..).unwrap_or_default();
                Event::More
            } else {
                rest = behind;
                machine.step(&mut self.object, *byte, sender, &key)
            };
            match event {
                Event::Request => self.request(),
                Event::Becomes(protocol) => self.becomes(sender, protocol, said),
                Event::Note(note) => refused(note, said),
                Event::Wrong(reason) => return Err(reason),
                Event::More | Event::Level | Event::Object | Event::Alias => {}
            }
            if self.client.at_boundary() && self.draft.has_operation() {
                self.draft.finish("request", said);
            }
        }
        Ok(())
    }

    pub(super) fn unfinished(&mut self, said: &mut Vec<Message>) {
        self.draft.abandon("request", said);
    }

    fn request(&mut self) {
        let verb = match self.client.kind() {
            Kind::HttpSet => Verb::Set,
            Kind::HttpDelete => Verb::Delete,
            _ => Verb::Get,
        };
        self.draft.operation(verb, self.object.text());
    }

    /// The client has asked for another protocol, or the server has agreed to it.
    fn becomes(&mut self, sender: Sender, protocol: Protocol, said: &mut Vec<Message>) {
        match sender {
            Sender::Client => {
                self.draft.finish("request", said);
                self.server.expect_upgrade();
            }
            Sender::Server => {
                self.client.upgrade();
                Draft::new(protocol).finish("upgrade", said);
            }
        }
    }
}

fn refused(note: Note, said: &mut Vec<Message>) {
    match note {
        Note::LoginFailed => {
            let mut draft = Draft::new(Protocol::Http);
            draft.field("refused", true);
            draft.finish("response", said);
        }
        Note::SessionPresent => {}
    }
}
