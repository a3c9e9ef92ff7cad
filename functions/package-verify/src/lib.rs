//! The trial of a package on a few devices that a batch needs first.
