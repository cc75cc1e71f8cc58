#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::allow_attributes
)]
use events::{Defaults, Event};
use serde_json::{Value, json};
use store::{ImportOptions, Store, StoreOptions};
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: i64 = a[2].parse().unwrap();
    let days: i64 = a[3].parse().unwrap();
    let workspaces: i64 = a[4].parse().unwrap();
    let store = Store::open(&a[1], &StoreOptions::default()).unwrap();
    let t = std::time::Instant::now();
    let mut import = store.import(ImportOptions::default());
    let mut made = std::time::Duration::ZERO;
    for i in 0..n {
        let t = std::time::Instant::now();
        let h = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let Value::Object(r) = json!({
            "df_workspace": format!("w{}", h % workspaces as u64), "date": 1_795_219_200_000i64 + (i % days) * 86_400_000 + (h % 86_400_000) as i64,
            "df_event_id": format!("{:08x}-{:04x}-4000-8000-{:012x}", h as u32, i & 0xffff, h >> 16),
            "df_title": format!("Event{}", h % 500), "df_user_name": format!("user{}", h % 5000), "df_user_email": format!("user{}@example.com", h % 5000),
            "df_message": format!("user{} did thing {} to object {}", h % 5000, h % 500, h),
            "client_ip": format!("10.{}.{}.{}", h & 255, (h >> 8) & 255, (h >> 16) & 255), "user_agent": "aws-sdk-go/1.44.0 (go1.19; linux; amd64)",
            "requestParameters": {"bucket": format!("bucket-{}", h % 977), "key": format!("{h:x}")}, "tls": true, "n": h
        }) else {
            panic!()
        };
        let e = Event::from_json(r, &Defaults::default(), || unreachable!()).unwrap();
        made += t.elapsed();
        import.push(e).await.unwrap();
    }
    let s = import.finish().await.unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    println!(
        "{} stored {} repeated, {} files {} bytes, {:?} (making {:?}) {}",
        s.stored,
        s.repeated,
        s.workspaces.iter().map(|w| w.files).sum::<usize>(),
        s.workspaces.iter().map(|w| w.size_bytes).sum::<u64>(),
        t.elapsed(),
        made,
        peak
    );
}
