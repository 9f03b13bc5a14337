//! What works from another machine: log in, record, restore, export, pin the certificate.
