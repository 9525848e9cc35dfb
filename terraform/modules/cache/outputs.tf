output "url_secret_arn" {
  description = "Secret whose whole text is the address of the cache with its password, rediss://…"
  value       = aws_secretsmanager_secret.url.arn

  # Who reads the secret wants its text to be there.
  depends_on = [aws_secretsmanager_secret_version.url]
}

output "primary_endpoint" {
  description = "Name of the primary node in DNS; a replica that takes over takes the name over."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "security_group_id" {
  description = "Security group of the cache."
  value       = aws_security_group.this.id
}

output "replication_group_id" {
  description = "Name of the replication group, for alarms and the dashboard."
  value       = aws_elasticache_replication_group.this.replication_group_id
}
