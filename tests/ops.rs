//! Own operations against the plain formulas under Burn's autodiff: values, gradients, views, what is not finite, and
//! the same bits for any number of threads.
#[path = "ops/images.rs"]
mod images;
#[path = "ops/plain.rs"]
mod plain;
#[path = "ops/support.rs"]
mod support;
#[path = "ops/threads.rs"]
mod threads;
#[path = "ops/update.rs"]
mod update;
#[path = "ops/values.rs"]
mod values;
