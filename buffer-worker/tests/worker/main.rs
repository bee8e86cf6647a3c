//! The worker between a real Redis and a bulk server that does what it is told.

#[cfg(test)]
mod blocked;
#[cfg(test)]
mod bulk_server;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod draining;
#[cfg(test)]
mod fair;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod limited;
#[cfg(test)]
mod link;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod process;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod support;
