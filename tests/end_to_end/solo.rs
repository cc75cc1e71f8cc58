//! Part of the end-to-end tests, built alone.

mod cases;
