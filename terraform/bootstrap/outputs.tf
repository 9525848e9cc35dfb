output "bucket" {
  description = "The state's bucket."
  value       = aws_s3_bucket.state.bucket
}

output "region" {
  description = "Region of the state's bucket."
  value       = var.region
}

output "kms_key_arn" {
  description = "KMS key of the states."
  value       = aws_kms_key.state.arn
}
