output "bucket_names" {
  description = "Names of the buckets, by purpose: lake, artifacts, site, logs."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.bucket }

  # A load balancer tries at once to write into the bucket of logs.
  depends_on = [aws_s3_bucket_policy.logs]
}

output "bucket_arns" {
  description = "The buckets, by purpose: lake, artifacts, site, logs."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.arn }
}

output "bucket_domain_names" {
  description = "Names of the buckets in their region's DNS, by purpose, for CloudFront."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.bucket_regional_domain_name }
}
