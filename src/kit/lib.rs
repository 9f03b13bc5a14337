//! What a service is: trait, context, handle, restart loop, health, CPU pool.
