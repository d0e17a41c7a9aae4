//! TLS, up to the name that the client asks for.

use firewall_common::{
    abi::Protocol,
    reason::Reason,
    wire::{Event, Sender, object::Object, tls},
};
use graph::operation::Verb;

use super::{Draft, key};
use crate::replay::record::Message;

/// A connection that speaks TLS.
#[derive(Debug)]
pub(in crate::replay) struct Tls {
    client: tls::Tls,
    server: tls::Tls,
    object: Object,
}

impl Default for Tls {
    fn default() -> Self {
        Self { client: tls::Tls::NEW, server: tls::Tls::NEW, object: Object::EMPTY }
    }
}

impl Tls {
    pub(super) const fn is_certain(&self) -> bool {
        self.client.is_recognised() || self.server.is_recognised()
    }

    pub(super) fn hear(
        &mut self,
        sender: Sender,
        bytes: &[u8],
        said: &mut Vec<Message>,
    ) -> Result<(), Reason> {
        let machine = match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        };
        let key = key();
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            let skipped = machine.skip(rest.len() as u32) as usize;
            if skipped > 0 {
                rest = rest.get(skipped..).unwrap_or_default();
                continue;
            }
            rest = behind;
            match machine.step(&mut self.object, *byte, sender, &key) {
                Event::Object => {
                    let mut draft = Draft::new(Protocol::Tls);
                    draft.operation(Verb::Connect, self.object.text());
                    draft.field("alpn", machine.alpn().as_str());
                    draft.field("encrypted_hello", machine.is_encrypted_hello());
                    draft.finish("ClientHello", said);
                }
                Event::Wrong(reason) => return Err(reason),
                Event::More
                | Event::Level
                | Event::Request
                | Event::Alias
                | Event::Becomes(_)
                | Event::Note(_) => {}
            }
        }
        Ok(())
    }
}
