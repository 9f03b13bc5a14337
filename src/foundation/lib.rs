//! Foundation services: what every other group stands on.
//!
//! [`auth_service`] says who may do what. Nothing here knows a session, a block or a page; siblings see this group only
//! through the traits in `lucid_ports`.

pub mod auth_service;
