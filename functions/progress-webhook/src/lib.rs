//! Device reports coming in over HTTP.
