//! Prints the OpenAPI document.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(ota_openapi::text().as_bytes())
}
