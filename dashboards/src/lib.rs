//! Where records are looked at: Weir's own search page, and the objects that Kibana needs for the same.
//!
//! * [`bind`] and [`serve`]: the page with its HTTP interface, over any index that can be searched.
//! * [`kibana`]: a data view, a saved search and a dashboard, and their import.
//!
//! The page (`web/`) is plain HTML, CSS and JavaScript modules, embedded into the program: no build step, and nothing
//! is loaded from elsewhere. What it may do is bounded by the headers that `guard.rs` sends.

mod api;
mod assets;
mod guard;
pub mod kibana;
mod server;

pub use api::{Audited, DriftSource, Pipeline};
pub use server::{BindError, PageSettings, bind, serve};
