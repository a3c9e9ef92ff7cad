//! Plans and performs what the clock asks for: expand, push, expire, record.
