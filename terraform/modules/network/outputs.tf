output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Addresses of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Private subnets, one a zone: tasks, database, cache, endpoints."
  value       = aws_subnet.private[*].id

  # Who starts a task in a subnet wants its way out to be there.
  depends_on = [aws_route.nat, aws_route_table_association.private, aws_vpc_endpoint.s3]
}

output "public_subnet_ids" {
  description = "Public subnets, one a zone: NAT gateways and, with a domain, the load balancer."
  value       = aws_subnet.public[*].id

  depends_on = [aws_route.internet, aws_route_table_association.public]
}

output "endpoint_prefix_list_ids" {
  description = "Prefix lists of the gateway endpoints, for the egress rules of security groups."
  value       = [aws_vpc_endpoint.s3.prefix_list_id]
}
