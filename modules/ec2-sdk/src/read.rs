//! The SDK's types, read into the driver's.

use aws_sdk_ec2::types;
use corpus_clouds::drivers::ec2::api::{Address, Image, Instance, Named, Rule, Tags, Volume};

fn tags(tags: &[types::Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// Reads an instance.
pub fn instance(one: &types::Instance) -> Instance {
    let group = |group: &types::GroupIdentifier| (text(group.group_id()), text(group.group_name()));
    Instance {
        id: text(one.instance_id()),
        state: one.state().and_then(|state| state.name()).map(|name| name.as_str().to_owned()).unwrap_or_default(),
        reason: text(one.state_reason().and_then(|reason| reason.message()).or(one.state_transition_reason())),
        kind: one.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        image: text(one.image_id()),
        private: one.private_ip_address().map(str::to_owned),
        public: one.public_ip_address().filter(|ip| !ip.is_empty()).map(str::to_owned),
        subnet: text(one.subnet_id()),
        vpc: text(one.vpc_id()),
        zone: text(one.placement().and_then(|place| place.availability_zone())),
        groups: one.security_groups().iter().map(group).collect(),
        root: text(one.root_device_name()),
        launched: one.launch_time().map(|time| format!("{:020}", time.secs())).unwrap_or_default(),
        tags: tags(one.tags()),
    }
}

/// Reads a volume.
pub fn volume(one: &types::Volume) -> Volume {
    let attached = one.attachments().first();
    Volume {
        id: text(one.volume_id()),
        gib: one.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        state: one.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        instance: attached.and_then(|to| to.instance_id()).map(str::to_owned),
        device: attached.and_then(|to| to.device()).map(str::to_owned),
        tags: tags(one.tags()),
    }
}

/// Reads an image.
pub fn image(one: &types::Image) -> Image {
    Image {
        id: text(one.image_id()),
        name: text(one.name()),
        created: text(one.creation_date()),
        root: text(one.root_device_name()),
    }
}

/// Reads an elastic address.
pub fn address(one: &types::Address) -> Address {
    Address {
        id: text(one.allocation_id()),
        ip: text(one.public_ip()),
        instance: one.instance_id().filter(|id| !id.is_empty()).map(str::to_owned),
        tags: tags(one.tags()),
    }
}

/// Reads a VPC.
pub fn vpc(one: &types::Vpc) -> Named {
    let id = text(one.vpc_id());
    Named { name: text(one.cidr_block()), vpc: id.clone(), id, rules: vec![], tags: tags(one.tags()) }
}

/// Reads a subnet.
pub fn subnet(one: &types::Subnet) -> Named {
    Named {
        id: text(one.subnet_id()),
        name: text(one.cidr_block()),
        vpc: text(one.vpc_id()),
        rules: vec![],
        tags: tags(one.tags()),
    }
}

/// Reads a key pair.
pub fn key(one: &types::KeyPairInfo) -> Named {
    Named { id: text(one.key_pair_id()), name: text(one.key_name()), tags: tags(one.tags()), ..Named::default() }
}

/// Reads an internet gateway.
pub fn gateway(one: &types::InternetGateway) -> Named {
    let vpc = one.attachments().first().and_then(|to| to.vpc_id());
    Named { id: text(one.internet_gateway_id()), vpc: text(vpc), tags: tags(one.tags()), ..Named::default() }
}

/// Reads a route table: where it sends what is for the internet.
pub fn routes(one: &types::RouteTable) -> Named {
    let out = one.routes().iter().find(|route| route.destination_cidr_block() == Some("0.0.0.0/0"));
    Named {
        id: text(one.route_table_id()),
        name: text(out.and_then(|route| route.gateway_id())),
        vpc: text(one.vpc_id()),
        tags: tags(one.tags()),
        ..Named::default()
    }
}

/// Reads a security group with its rules.
pub fn group(one: &types::SecurityGroup) -> Named {
    let mut rules = vec![];
    for rule in one.ip_permissions() {
        let of = |cidr: &str| Rule {
            protocol: text(rule.ip_protocol()),
            from: rule.from_port().unwrap_or(-1),
            to: rule.to_port().unwrap_or(-1),
            cidr: cidr.to_owned(),
        };
        rules.extend(rule.ip_ranges().iter().filter_map(|range| range.cidr_ip()).map(of));
        rules.extend(rule.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6()).map(of));
    }
    Named {
        id: text(one.group_id()),
        name: text(one.group_name()),
        vpc: text(one.vpc_id()),
        rules,
        tags: tags(one.tags()),
    }
}
