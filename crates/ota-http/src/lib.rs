//! HTTP shared by the functions: routing, problems (RFC 9457), paging, bounded bodies.
