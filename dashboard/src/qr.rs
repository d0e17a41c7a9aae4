//! QR codes: for a terminal, and as the outline of a picture.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode, render::unicode::Dense1x2};
use serde::Serialize;
use utoipa::ToSchema;

/// A QR code as a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Qr {
    /// Modules on each side; a margin of four belongs around them.
    size: u32,
    /// The dark modules, as the `d` of an SVG path with one unit per module.
    path: String,
}

impl Qr {
    /// `None` if the text is too long.
    pub fn new(text: &str) -> Option<Self> {
        let code = encode(text)?;
        let size = code.width();
        let mut path = String::new();
        for (index, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let (x, y) = (index % size, index / size);
                write!(path, "M{x} {y}h1v1h-1z").expect("a string takes everything");
            }
        }
        Some(Self { size: size as u32, path })
    }

    /// A file with its margin, dark on light.
    pub fn to_svg(&self) -> String {
        const MARGIN: u32 = 4;
        let (side, path) = (self.size + 2 * MARGIN, &self.path);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-{MARGIN} -{MARGIN} {side} {side}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M-{MARGIN} -{MARGIN}h{side}v{side}h-{side}z\"/>\
             <path d=\"{path}\"/></svg>"
        )
    }
}

/// Lines for a terminal, two modules in a character; `None` if the text is too long.
pub fn for_terminal(text: &str) -> Option<String> {
    // Terminals are mostly dark, where what is light must be printed.
    let code = encode(text)?;
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    Some(picture)
}

fn encode(text: &str) -> Option<QrCode> {
    QrCode::with_error_correction_level(text, EcLevel::L).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str =
        "https://192.168.1.1:8443/#/pair?k=000102030405060708090a0b0c0d0e0f&fp=0123456789abcdef";

    #[test]
    fn an_address_fits_a_terminal_and_a_picture() {
        let lines = for_terminal(URL).unwrap();
        let widest = lines.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 60 && lines.lines().count() <= 30, "{widest}\n{lines}");
        let qr = Qr::new(URL).unwrap();
        assert!(
            qr.size >= 21 && qr.path.starts_with("M0 0h1v1h-1z"),
            "the finder pattern begins at the corner"
        );
        assert_eq!(Qr::new(&"x".repeat(4_000)), None);
    }
}
