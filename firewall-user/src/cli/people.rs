//! What is shown and read about people: codes for phones, who is let in, the PIN.

use std::io::{self, IsTerminal as _};

use anyhow::{Context, Result};
use dashboard::{qr, rpc::PairingCode, view};

use crate::duration::Span;

/// A code as something to scan, to open and to type.
pub(super) fn code(code: &PairingCode, lifetime: Span) {
    let urls: Vec<String> = code.urls().collect();
    let ([first, ..], Some(authority)) = (urls.as_slice(), &code.authority) else {
        println!("{}", code.code);
        eprintln!(
            "Type it on the page within {lifetime}, or open the page's address with /#/pair?k={}\n\
             For phones the page must listen on the LAN: edgeward web --listen ADDRESS:8443",
            code.code
        );
        return;
    };
    for url in &urls {
        if let Some(picture) = qr::for_terminal(url).filter(|_| io::stdout().is_terminal()) {
            println!("{picture}");
        }
        println!("{url}");
    }
    let page = page_of(first);
    let scan = match urls.as_slice() {
        [_] => "Scan it with the phone".to_owned(),
        several => {
            let pages: Vec<&str> = several.iter().map(|url| page_of(url)).collect();
            format!(
                "It is one code at each address of this box: {}. Scan the picture above the address that is in the \
                 phone's network",
                pages.join(", ")
            )
        }
    };
    eprintln!(
        "\n{scan}, or open {page} and type\n\n    {typed}\n\n\
         It is for one {role}, and valid for {lifetime}. A device of a kind that is not known yet may be refused at its \
         first try; then open the address again.\n\n\
         The phone will warn that it does not know who vouches for this page: this box does, under the name\n\n    \
         {name}\n\n\
         Go on if the phone shows this name, and compare the four words on the page: {words}.\n\
         SHA-256 of the certificate that can be installed from {page}/ca.crt:\n    {fingerprint}",
        typed = code.typed,
        role = code.role.as_str(),
        name = authority.name,
        words = authority.words.join(" "),
        fingerprint = authority.fingerprint,
    );
}

fn page_of(url: &str) -> &str {
    url.split("/#").next().unwrap_or(url)
}

pub(super) fn clients(clients: &[view::Client]) {
    for client in clients {
        let kind = if client.token { "program" } else { "phone" };
        println!("{}  {:7}  {:7}  {}", client.id, client.role.as_str(), kind, client.name);
    }
}

/// A PIN is no argument, which others on the machine could see.
pub(super) fn read_pin() -> Result<String> {
    if io::stdin().is_terminal() {
        eprintln!("The new PIN, 4 to 12 digits:");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("cannot read the PIN")?;
    Ok(line.trim().to_owned())
}
