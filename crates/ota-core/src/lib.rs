//! The rules of over-the-air (OTA) upgrades, and nothing else.
//!
//! This crate decides; it never acts. It has no clock, no store, no network and no async: the time, ids and
//! randomness come in as arguments, and what should happen next comes out as values ([`effect::Effect`]). That it is
//! `no_std` keeps this true, because a clock call would not compile.
//!
//! The same nouns appear in every layer of the project: [`package`], [`batch`], [`task`], [`device`].
//!
//! Numbers such as R116 or T9 name a rule or a transition; `docs/rules.md` lists them with their wording.
#![no_std]

extern crate alloc;

pub mod access;
pub mod batch;
pub mod cloud;
pub mod delta;
pub mod device;
pub mod digest;
pub mod dispatch;
pub mod download;
pub mod effect;
pub mod error;
pub mod event;
pub mod ids;
pub mod limits;
pub mod package;
pub mod product;
pub mod security;
pub mod settings;
pub mod task;
pub mod time;
pub mod webhook;
