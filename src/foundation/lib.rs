//! Foundation services: auth-service.
