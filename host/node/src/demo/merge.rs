//! Chapter: two saves of one session meet.

use colony_client::{Client, Session, Ttl};
use serde_json::json;

use super::DemoError;
use super::observer::NAMESPACE;
use super::plugins::MERGE;
use super::story::Stage;

/// The attribute that both change.
const APPLES: &str = "item:apple";
/// What is in the cart, what each makes of it, and what that is together.
const BASE: u64 = 2;
const ONE: u64 = 5;
const OTHER: u64 = 3;
const TOGETHER: u64 = BASE + (ONE - BASE) + (OTHER - BASE);

/// Two clients load one cart, change the same quantity, and save at once.
pub(super) async fn tell(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let other = Client::connect(stage.cluster.seeds(), stage.cluster.identity()).await?;
    let failed = || DemoError::call("work on a cart");
    let mut cart = stage.namespace.create(Ttl::OfNamespace).await.map_err(failed())?;
    cart.set_raw(APPLES, BASE.to_string()).map_err(failed())?;
    cart.save().await.map_err(failed())?;

    let mut one = load(&stage.client, &cart).await?;
    let mut two = load(&other, &cart).await?;
    let claim = "both loaded the same version of the cart";
    stage.teller.claim(claim, one.version() == two.version(), || format!("{}, {}", one.version(), two.version()))?;
    one.set_raw(APPLES, ONE.to_string()).map_err(failed())?;
    two.set_raw(APPLES, OTHER.to_string()).map_err(failed())?;
    let (first, second) = tokio::join!(one.save(), two.save());
    let saves = [first.map_err(failed())?, second.map_err(failed())?];
    let merged = saves.iter().flatten().filter(|saved| saved.merged).count();

    let held = load(&stage.client, &cart).await?.get_raw(APPLES).cloned().unwrap_or_default();
    let held = String::from_utf8_lossy(&held).into_owned();
    let line = format!(
        "a cart with {BASE} apples, saved at once by two clients: one says {ONE}, one says {OTHER}; \
         {MERGE}.wasm made it {held}"
    );
    let fields = json!({ "base": BASE, "one": ONE, "other": OTHER, "held": held, "merged_saves": merged });
    stage.teller.tell("merged", fields, &line);
    let claim = format!("the cart holds what both put in, {TOGETHER}, and not {ONE} or {OTHER}");
    stage.teller.claim(&claim, held == TOGETHER.to_string(), || held.clone())?;
    let claim = "the later save was told that it was merged, the earlier was not";
    stage.teller.claim(claim, merged == 1, || format!("{merged} were told"))?;
    stage.figure("merged", json!({ "base": BASE, "one": ONE, "other": OTHER, "held": TOGETHER }));
    other.close().await;
    Ok(())
}

async fn load(client: &Client, cart: &Session) -> Result<Session, DemoError> {
    let loaded = client.namespace(NAMESPACE).load(cart.id()).await.map_err(DemoError::call("load the cart"))?;
    let missing = || DemoError::Claim { claim: "the cart is there".into(), found: "it is not".into() };
    loaded.ok_or_else(missing)
}
