//! What people and scripts see of Edgeward.
//!
//! The daemon (`edgeward run`) answers [`rpc::Request`]s on a unix socket with the view models of [`view`]; the command
//! line prints the same models with `--json`, and the page shows them: [`http`] (`edgeward web`) asks over the same socket,
//! hands the models out as JSON and server-sent events to browsers that are paired, and carries the page's files.

// The models.
pub mod inspect;
pub mod view;

// The unix socket.
pub mod rpc;

// What other programs read.
pub mod export;

// What a phone scans.
pub mod qr;

// What phones and Home Assistant are told.
pub mod home;
pub mod pushes;

// The page and its API.
pub mod http;

#[cfg(test)]
mod typescript;
