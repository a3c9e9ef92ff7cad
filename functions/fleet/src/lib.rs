//! Products, modules and devices: the REST functions an operator keeps a fleet with.
