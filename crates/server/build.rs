//! Compiles the protobuf interface, without an installed `protoc`.

use std::error::Error;
use std::path::PathBuf;

const INCLUDE: &str = "../../proto";
const FILE: &str = "vouch/v1/query.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={INCLUDE}/{FILE}");
    let mut compiler = protox::Compiler::new([INCLUDE])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_file(FILE)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    // Arrow bytes are handed over without a copy.
    tonic_prost_build::configure()
        .bytes(".vouch.v1.QueryStreamResponse")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
