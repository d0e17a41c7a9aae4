//! Rules of the HTTP layer, with a stand-in for the daemon's socket.
