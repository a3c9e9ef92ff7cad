//! Rules that hold for any history, not only for the ones somebody thought of; and the documents that state them.
//!
//! Each invariant is a named function that runs after every step. A failure prints the smallest history that breaks it.

mod deploy;
mod devices;
mod documents;
mod errors;
mod gray;
mod limits;
mod manifest;
mod monitoring;
mod openapi;
mod pushes;
mod routes;
mod settings;
mod tasks;
mod world;
