output "origin_access_control_id" {
  description = "Id of the access control by which CloudFront signs requests for files."
  value       = aws_cloudfront_origin_access_control.this.id
}

output "cache_policy_ids" {
  description = "Ids of the cache policies of `assets` (files named by their content) and `page` (everything else)."
  value       = { assets = aws_cloudfront_cache_policy.assets.id, page = aws_cloudfront_cache_policy.page.id }
}

output "response_headers_policy_ids" {
  description = "Ids of the policies of headers, of `assets` and `page`."
  value       = { for kind, policy in aws_cloudfront_response_headers_policy.this : kind => policy.id }
}

output "page_function_arn" {
  description = "ARN of the function that answers the page for every place in it."
  value       = aws_cloudfront_function.page.arn
}
