//! Upgrade packages: streaming uploads, validation, listing.
