//! Changes, each the call that it is.

use crate::failed;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{
    self, AttributeValue, DomainType, InstanceType, IpPermission, IpRange, Ipv6Range, ResourceType, Tag,
    TagSpecification, Tenancy, VolumeType,
};
use base64::Engine as _;
use corpus_clouds::drivers::ec2::api::{ApiError, Change, Disk, Launch, Rule, Tags};

fn tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn tagged(kind: ResourceType, marks: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags(marks))).build()
}

fn number(gib: u64) -> i32 {
    i32::try_from(gib).unwrap_or(i32::MAX)
}

fn rule(rule: &Rule) -> IpPermission {
    let built = IpPermission::builder().ip_protocol(&rule.protocol);
    let built = match rule.protocol.as_str() {
        "-1" => built,
        _ => built.from_port(rule.from).to_port(rule.to),
    };
    match rule.cidr.contains(':') {
        true => built.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(&rule.cidr).build()).build(),
        false => built.ip_ranges(IpRange::builder().cidr_ip(&rule.cidr).build()).build(),
    }
}

fn device(disk: &Disk) -> types::BlockDeviceMapping {
    let ebs = types::EbsBlockDevice::builder()
        .set_volume_size(disk.gib.map(number))
        .set_volume_type(disk.kind.as_deref().map(VolumeType::from))
        .set_iops(disk.iops)
        .set_snapshot_id(disk.snapshot.clone())
        .set_encrypted(disk.encrypted)
        .delete_on_termination(disk.ends);
    types::BlockDeviceMapping::builder().device_name(&disk.device).ebs(ebs.build()).build()
}

fn profile(named: &str) -> types::IamInstanceProfileSpecification {
    let built = types::IamInstanceProfileSpecification::builder();
    if named.starts_with("arn:") { built.arn(named) } else { built.name(named) }.build()
}

/// Answers without an id where there must be one.
fn made(id: Option<&str>) -> Result<String, ApiError> {
    id.map(str::to_owned).ok_or_else(|| ApiError::new("lost", "the answer names nothing that was made"))
}

async fn run(client: &Client, launch: &Launch) -> Result<String, ApiError> {
    let placed = launch.zone.is_some() || launch.tenancy.is_some() || launch.placement.is_some();
    let place = types::Placement::builder()
        .set_availability_zone(launch.zone.clone())
        .set_tenancy(launch.tenancy.as_deref().map(Tenancy::from))
        .set_group_name(launch.placement.clone())
        .build();
    let call = client
        .run_instances()
        .client_token(&launch.token)
        .min_count(1)
        .max_count(1)
        .image_id(&launch.image)
        .instance_type(InstanceType::from(launch.kind.as_str()))
        .set_key_name(launch.key.clone())
        .set_placement(placed.then_some(place))
        .set_block_device_mappings(Some(launch.disks.iter().map(device).collect()))
        .set_iam_instance_profile(launch.profile.as_deref().map(profile))
        .set_ebs_optimized(launch.optimised)
        .disable_api_termination(launch.protected)
        .user_data(encoded(&launch.user_data))
        .tag_specifications(tagged(ResourceType::Instance, &launch.tags))
        .tag_specifications(tagged(ResourceType::Volume, &launch.volume_tags))
        // Whoever asks for the user data must have asked for a token first: no page that is tricked into a request gets it.
        .metadata_options(
            types::InstanceMetadataOptionsRequest::builder().http_tokens(types::HttpTokensState::Required).build(),
        );
    let groups = (!launch.groups.is_empty()).then(|| launch.groups.clone());
    // A public address is asked for of an interface, which then has the rest as well.
    let call = match launch.public {
        Some(public) => call.network_interfaces(
            types::InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .associate_public_ip_address(public)
                .delete_on_termination(true)
                .set_subnet_id(launch.subnet.clone())
                .set_private_ip_address(launch.private.clone())
                .set_groups(groups)
                .build(),
        ),
        None => call
            .set_subnet_id(launch.subnet.clone())
            .set_private_ip_address(launch.private.clone())
            .set_security_group_ids(groups),
    };
    let out = call.send().await.map_err(failed)?;
    made(out.instances().first().and_then(|instance| instance.instance_id()))
}

fn encoded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Sends one.
pub async fn send(client: &Client, change: &Change) -> Result<String, ApiError> {
    let done = |id: &str| Ok(id.to_owned());
    match change {
        Change::Run(launch) => run(client, launch).await,
        Change::Start(it) => {
            client.start_instances().instance_ids(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::Stop { instance, force } => {
            let call = client.stop_instances().instance_ids(instance.id()).force(*force);
            call.send().await.map_err(failed)?;
            done(instance.id())
        }
        Change::Reboot(it) => {
            client.reboot_instances().instance_ids(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::Terminate(it) => {
            client.terminate_instances().instance_ids(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::Retype { instance, kind } => {
            let value = AttributeValue::builder().value(kind).build();
            let call = client.modify_instance_attribute().instance_id(instance.id()).instance_type(value);
            call.send().await.map_err(failed)?;
            done(instance.id())
        }
        Change::Regroup { instance, groups } => {
            let call = client.modify_instance_attribute().instance_id(instance.id());
            call.set_groups(Some(groups.clone())).send().await.map_err(failed)?;
            done(instance.id())
        }
        Change::Tag { thing, tags: marks } => {
            let call = client.create_tags().resources(thing.id()).set_tags(Some(tags(marks)));
            call.send().await.map_err(failed)?;
            done(thing.id())
        }
        Change::Grow { volume, gib } => {
            client.modify_volume().volume_id(volume.id()).size(number(*gib)).send().await.map_err(failed)?;
            done(volume.id())
        }
        Change::AddVolume { disk, zone, tags } => {
            let call = client
                .create_volume()
                .availability_zone(zone)
                .set_size(disk.gib.map(number))
                .set_volume_type(disk.kind.as_deref().map(VolumeType::from))
                .set_iops(disk.iops)
                .set_snapshot_id(disk.snapshot.clone())
                .set_encrypted(disk.encrypted)
                .tag_specifications(tagged(ResourceType::Volume, tags));
            made(call.send().await.map_err(failed)?.volume_id())
        }
        Change::Attach { volume, instance, device } => {
            let call = client.attach_volume().volume_id(volume.id()).instance_id(instance.id()).device(device);
            call.send().await.map_err(failed)?;
            done(volume.id())
        }
        Change::DeleteVolume(it) => {
            client.delete_volume().volume_id(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::ImportKey { name, public, tags } => {
            let call = client
                .import_key_pair()
                .key_name(name)
                .public_key_material(Blob::new(public.as_bytes()))
                .tag_specifications(tagged(ResourceType::KeyPair, tags));
            made(call.send().await.map_err(failed)?.key_pair_id())
        }
        Change::DeleteKey(it) => {
            client.delete_key_pair().key_name(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::CreateGroup { .. } | Change::Allow { .. } | Change::Forbid { .. } | Change::DeleteGroup(_) => {
            group(client, change).await
        }
        Change::Allocate { tags } => {
            let call = client.allocate_address().domain(DomainType::Vpc);
            let call = call.tag_specifications(tagged(ResourceType::ElasticIp, tags));
            made(call.send().await.map_err(failed)?.allocation_id())
        }
        Change::Associate { address, instance, ours } => {
            let call = client.associate_address().allocation_id(address).instance_id(instance.id());
            call.allow_reassociation(*ours).send().await.map_err(failed)?;
            done(address)
        }
        Change::Release(it) => {
            client.release_address().allocation_id(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::CreateVpc { .. }
        | Change::DeleteVpc(_)
        | Change::CreateSubnet { .. }
        | Change::DeleteSubnet(_)
        | Change::CreateGateway { .. }
        | Change::AttachGateway { .. }
        | Change::DetachGateway { .. }
        | Change::DeleteGateway(_)
        | Change::RouteOut { .. } => network(client, change).await,
    }
}

/// The changes of networks.
async fn network(client: &Client, change: &Change) -> Result<String, ApiError> {
    let done = |id: &str| Ok(id.to_owned());
    match change {
        Change::CreateGateway { tags } => {
            let call = client.create_internet_gateway().tag_specifications(tagged(ResourceType::InternetGateway, tags));
            let out = call.send().await.map_err(failed)?;
            made(out.internet_gateway().and_then(|gateway| gateway.internet_gateway_id()))
        }
        Change::AttachGateway { gateway, vpc } => {
            let call = client.attach_internet_gateway().internet_gateway_id(gateway.id()).vpc_id(vpc.id());
            call.send().await.map_err(failed)?;
            done(gateway.id())
        }
        Change::DetachGateway { gateway, vpc } => {
            let call = client.detach_internet_gateway().internet_gateway_id(gateway.id()).vpc_id(vpc);
            call.send().await.map_err(failed)?;
            done(gateway.id())
        }
        Change::DeleteGateway(it) => {
            client.delete_internet_gateway().internet_gateway_id(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::RouteOut { table, gateway, .. } => {
            let call = client.create_route().route_table_id(table).destination_cidr_block("0.0.0.0/0");
            call.gateway_id(gateway.id()).send().await.map_err(failed)?;
            done(table)
        }
        Change::CreateVpc { cidr, tags } => {
            let call = client.create_vpc().cidr_block(cidr).tag_specifications(tagged(ResourceType::Vpc, tags));
            made(call.send().await.map_err(failed)?.vpc().and_then(|vpc| vpc.vpc_id()))
        }
        Change::DeleteVpc(it) => {
            client.delete_vpc().vpc_id(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        Change::CreateSubnet { vpc, cidr, zone, tags } => {
            let call = client.create_subnet().vpc_id(vpc).cidr_block(cidr).set_availability_zone(zone.clone());
            let call = call.tag_specifications(tagged(ResourceType::Subnet, tags));
            made(call.send().await.map_err(failed)?.subnet().and_then(|subnet| subnet.subnet_id()))
        }
        Change::DeleteSubnet(it) => {
            client.delete_subnet().subnet_id(it.id()).send().await.map_err(failed)?;
            done(it.id())
        }
        other => Err(ApiError::new("lost", format!("no change of a network: {other:?}"))),
    }
}

/// The changes of security groups.
async fn group(client: &Client, change: &Change) -> Result<String, ApiError> {
    match change {
        Change::CreateGroup { name, about, vpc, tags } => {
            let call = client
                .create_security_group()
                .group_name(name)
                .description(about)
                .set_vpc_id((!vpc.is_empty()).then(|| vpc.clone()))
                .tag_specifications(tagged(ResourceType::SecurityGroup, tags));
            made(call.send().await.map_err(failed)?.group_id())
        }
        Change::Allow { group, rules } => {
            let call = client.authorize_security_group_ingress().group_id(group.id());
            call.set_ip_permissions(Some(rules.iter().map(rule).collect())).send().await.map_err(failed)?;
            Ok(group.id().to_owned())
        }
        Change::Forbid { group, rules } => {
            let call = client.revoke_security_group_ingress().group_id(group.id());
            call.set_ip_permissions(Some(rules.iter().map(rule).collect())).send().await.map_err(failed)?;
            Ok(group.id().to_owned())
        }
        Change::DeleteGroup(group) => {
            client.delete_security_group().group_id(group.id()).send().await.map_err(failed)?;
            Ok(group.id().to_owned())
        }
        other => Err(ApiError::new("lost", format!("no change of a group: {other:?}"))),
    }
}
