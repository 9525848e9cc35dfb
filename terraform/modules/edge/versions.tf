terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = ">= 6.25"
      configuration_aliases = [aws.us_east_1] # what CloudFront uses (certificate, web ACL) lives there alone
    }
  }
}
