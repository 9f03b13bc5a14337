//! Whole-box policy: order, criticality, watchdog, shutdown. Names no service.
