//! Product stories, one file each: the real handlers over memory, with a clock moved by hand.

mod crash;
mod figures;
mod main_job;
