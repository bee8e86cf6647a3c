//! The follower on a real file system, with the buffer in memory: what is written is what arrives, once.

mod answers;
mod basics;
mod compressed;
mod copies;
mod files;
mod identical;
mod model;
mod rig;
mod rotation;
mod state;
