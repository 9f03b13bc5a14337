//! The appliance itself: SSD and thermal watch, dashboard.
