#![doc = include_str!("../README.md")]

mod load;
mod random;
mod rhythm;
mod sample;

pub use load::Load;
pub use sample::Sample;
