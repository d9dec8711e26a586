//! The calls of the driver `ec2` over Amazon's SDK. It decides nothing, and nothing else links the SDK, which takes minutes
//! and gigabytes to compile.

mod changes;
mod read;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::Filter;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use corpus_clouds::drivers::ec2::api::{
    Account, Address, ApiError, Change, Ec2Api, Image, Instance, Kind, Named, Page, Query, Volume,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};

/// EC2 by its SDK.
struct Sdk {
    client: Client,
    runtime: Runtime,
}

/// Connects to an account; nothing is sent yet.
pub fn connect(account: &Account) -> Result<Arc<dyn Ec2Api>, String> {
    let runtime = RuntimeBuilder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))?;
    let config = runtime.block_on(configure(account));
    if config.region().is_none() {
        return Err("no region is known: say `location: eu-west-1` in the provider, or set AWS_REGION".into());
    }
    Ok(Arc::new(Sdk { client: Client::new(&config), runtime }))
}

async fn configure(account: &Account) -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let patience = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(30));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(patience.build());
    if let Some(region) = &account.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &account.endpoint {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &account.profile {
        loader = loader.profile_name(profile);
    }
    if let Some((id, key)) = &account.keys {
        loader = loader.credentials_provider(Credentials::new(id, key, None, None, "provider"));
    }
    let config = loader.load().await;
    let Some(role) = &account.role else { return config };
    let role = aws_config::sts::AssumeRoleProvider::builder(role).session_name("corpus").configure(&config);
    let role = aws_sdk_ec2::config::SharedCredentialsProvider::new(role.build().await);
    config.into_builder().credentials_provider(role).build()
}

/// Keeps the service's own word where there is one. What has none had no answer.
fn failed<E, R>(error: SdkError<E, R>) -> ApiError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let SdkError::ServiceError(service) = &error
        && let Some(code) = service.err().code()
    {
        return ApiError::new(code, service.err().message().unwrap_or_default());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    ApiError::new("lost", text)
}

fn filters(query: &Query) -> Option<Vec<Filter>> {
    let one =
        |(name, values): &(String, Vec<String>)| Filter::builder().name(name).set_values(Some(values.clone())).build();
    (!query.filters.is_empty()).then(|| query.filters.iter().map(one).collect())
}

/// Sends a listing, and reads its page.
macro_rules! page {
    ($self:ident, $query:ident, $call:ident, |$out:ident| $items:expr) => {{
        let call = $self.client.$call().set_filters(filters($query)).set_next_token($query.next.clone());
        let $out = $self.runtime.block_on(call.send()).map_err(failed)?;
        let next = $out.next_token().map(str::to_owned);
        Ok(Page { items: $items, next })
    }};
}

/// Sends a listing that has no pages.
macro_rules! whole {
    ($self:ident, $query:ident, $call:ident, $items:ident, $read:expr) => {{
        let call = $self.client.$call().set_filters(filters($query));
        let out = $self.runtime.block_on(call.send()).map_err(failed)?;
        Ok(Page { items: out.$items().iter().map($read).collect(), next: None })
    }};
}

impl Ec2Api for Sdk {
    fn instances(&self, query: &Query) -> Result<Page<Instance>, ApiError> {
        page!(self, query, describe_instances, |out| out
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances())
            .map(read::instance)
            .collect())
    }

    fn volumes(&self, query: &Query) -> Result<Page<Volume>, ApiError> {
        page!(self, query, describe_volumes, |out| out.volumes().iter().map(read::volume).collect())
    }

    fn images(&self, query: &Query) -> Result<Page<Image>, ApiError> {
        page!(self, query, describe_images, |out| out.images().iter().map(read::image).collect())
    }

    fn addresses(&self, query: &Query) -> Result<Page<Address>, ApiError> {
        whole!(self, query, describe_addresses, addresses, read::address)
    }

    fn named(&self, kind: Kind, query: &Query) -> Result<Page<Named>, ApiError> {
        match kind {
            Kind::Vpc => page!(self, query, describe_vpcs, |out| out.vpcs().iter().map(read::vpc).collect()),
            Kind::Subnet => {
                page!(self, query, describe_subnets, |out| out.subnets().iter().map(read::subnet).collect())
            }
            Kind::Group => page!(self, query, describe_security_groups, |out| out
                .security_groups()
                .iter()
                .map(read::group)
                .collect()),
            Kind::Gateway => page!(self, query, describe_internet_gateways, |out| out
                .internet_gateways()
                .iter()
                .map(read::gateway)
                .collect()),
            Kind::Routes => {
                page!(self, query, describe_route_tables, |out| out.route_tables().iter().map(read::routes).collect())
            }
            Kind::Key => whole!(self, query, describe_key_pairs, key_pairs, read::key),
        }
    }

    fn change(&self, change: &Change) -> Result<String, ApiError> {
        self.runtime.block_on(changes::send(&self.client, change))
    }
}
